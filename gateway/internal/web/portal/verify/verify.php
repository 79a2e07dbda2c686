<?php

// verify throws unless $body was sent by the platform and is new.
// $body are the bytes as they came: file_get_contents('php://input').
// $headers has names in lower case:
// array_change_key_case(getallheaders(), CASE_LOWER).
function verify(string $secret, array $headers, string $body): void
{
    $stamp = $headers['webhook-timestamp'] ?? '';
    if (!ctype_digit($stamp) || abs(time() - (int) $stamp) > 300) {
        throw new RuntimeException('webhook: no timestamp, or too old');
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    $signed = ($headers['webhook-id'] ?? '') . ".$stamp.$body";
    $mac = hash_hmac('sha256', $signed, $key, true);
    $want = 'v1,' . base64_encode($mac);
    // During a rotation there are two signatures: one must match.
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $got) {
        if (hash_equals($want, $got)) {
            return;
        }
    }
    throw new RuntimeException('webhook: the signature does not match');
}
