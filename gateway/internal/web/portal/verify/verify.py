import base64
import hashlib
import hmac
import time


def verify(secret, headers, body):
    """Raise ValueError unless body was sent by the platform and is new.

    body are the bytes as they came: request.get_data() in Flask,
    request.body in Django. headers is their mapping of names.
    """
    stamp = headers.get("webhook-timestamp") or ""
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        raise ValueError("webhook: no timestamp, or too old")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    want = "v1," + base64.b64encode(digest).decode()
    # During a rotation there are two signatures: one must match.
    for got in (headers.get("webhook-signature") or "").split():
        if hmac.compare_digest(got.encode(), want.encode()):
            return
    raise ValueError("webhook: the signature does not match")
