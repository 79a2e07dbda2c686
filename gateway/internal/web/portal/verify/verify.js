const crypto = require("node:crypto");

// verify throws unless body was sent by the platform and is new.
// Give it the bytes as they came, as of express.raw({type: "*/*"}),
// and the headers with names in lower case, as req.headers has them.
function verify(secret, headers, body) {
  const stamp = headers["webhook-timestamp"] || "";
  const age = Math.abs(Date.now() / 1000 - Number(stamp));
  if (!/^\d+$/.test(stamp) || age > 300) {
    throw new Error("webhook: no timestamp, or too old");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const want = crypto.createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${stamp}.`)
    .update(body)
    .digest();
  // During a rotation there are two signatures: one must match.
  for (const each of (headers["webhook-signature"] || "").split(" ")) {
    const [version, text] = each.split(",");
    const got = Buffer.from(text || "", "base64");
    if (version === "v1" && got.length === want.length &&
        crypto.timingSafeEqual(got, want)) {
      return;
    }
  }
  throw new Error("webhook: the signature does not match");
}

module.exports = { verify };
