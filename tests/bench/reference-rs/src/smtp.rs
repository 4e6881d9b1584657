//! The login of the SMTP interface of Amazon SES, derived from an IAM user's access key.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const PORT: u16 = 587;

pub struct Login<'a> {
    pub username: &'a str,
    pub password: String,
    pub host: String,
    pub region: &'a str,
}

impl<'a> Login<'a> {
    pub fn derive(access_key_id: &'a str, secret_access_key: &[u8], region: &'a str) -> Self {
        Self {
            username: access_key_id,
            password: password(secret_access_key, region),
            host: format!("email-smtp.{region}.amazonaws.com"),
            region,
        }
    }

    fn url(&self) -> String {
        let username = utf8_percent_encode(self.username, RESERVED);
        let password = utf8_percent_encode(&self.password, RESERVED);
        format!("smtp://{username}:{password}@{}:{PORT}", self.host)
    }

    /// As a Secret holds it.
    pub fn data(&self) -> serde_json::Value {
        serde_json::json!({
            "username": STANDARD.encode(self.username),
            "password": STANDARD.encode(&self.password),
            "host": STANDARD.encode(&self.host),
            "port": STANDARD.encode(PORT.to_string()),
            "region": STANDARD.encode(self.region),
            "url": STANDARD.encode(self.url()),
        })
    }
}

/// The chain of HMACs that the Amazon SES Developer Guide describes; the password begins with the version.
fn password(secret_access_key: &[u8], region: &str) -> String {
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut signature = sign(&[b"AWS4", secret_access_key].concat(), "11111111");
    for text in [region, "ses", "aws4_request", "SendRawEmail"] {
        signature = sign(signature.as_ref(), text);
    }
    STANDARD.encode([&[4], signature.as_ref()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn passwords_are_those_of_the_vectors() {
        let vectors: Value = serde_json::from_str(include_str!("../../../vectors.json")).unwrap();
        let v4 = vectors["v4"].as_array().unwrap();
        assert!(v4.len() > 10);
        for vector in v4 {
            let text = |name: &str| vector[name].as_str().unwrap();
            assert_eq!(password(text("secret").as_bytes(), text("region")), text("password"), "{vector}");
        }
    }

    #[test]
    fn data_is_what_pods_expect() {
        let login =
            Login::derive("AKIAIOSFODNN7EXAMPLE", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1");
        let data = login.data();
        let decoded =
            |key: &str| String::from_utf8(STANDARD.decode(data[key].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(data.as_object().unwrap().len(), 6);
        assert_eq!(decoded("username"), "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(decoded("password"), "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9");
        assert_eq!(decoded("host"), "email-smtp.us-east-1.amazonaws.com");
        assert_eq!(decoded("port"), "587");
        assert_eq!(decoded("region"), "us-east-1");
        // As Python's urllib.parse.quote(…, safe="") writes it.
        assert_eq!(
            decoded("url"),
            "smtp://AKIAIOSFODNN7EXAMPLE:BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9\
             @email-smtp.us-east-1.amazonaws.com:587"
        );
    }
}
