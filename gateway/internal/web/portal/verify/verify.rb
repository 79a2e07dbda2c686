require "openssl"

# verify raises unless body was sent by the platform and is new.
# body are the bytes as they came: request.raw_post in Rails.
# headers answers to names in lower case, such as request.headers.
def verify(secret, headers, body)
  stamp = headers["webhook-timestamp"].to_s
  unless stamp.match?(/\A\d+\z/) && (Time.now.to_i - stamp.to_i).abs <= 300
    raise "webhook: no timestamp, or too old"
  end
  key = secret.delete_prefix("whsec_").unpack1("m")
  signed = "#{headers["webhook-id"]}.#{stamp}.".b + body.b
  digest = OpenSSL::HMAC.digest("SHA256", key, signed)
  want = "v1," + [digest].pack("m0")
  # During a rotation there are two signatures: one must match.
  headers["webhook-signature"].to_s.split.each do |got|
    return if OpenSSL.secure_compare(got, want)
  end
  raise "webhook: the signature does not match"
end
