package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
)

// smtpPassword derives the password for a region's SMTP server from an IAM user's secret access key, as the
// Amazon SES Developer Guide describes it.
func smtpPassword(secretAccessKey, region string) string {
	signature := []byte("AWS4" + secretAccessKey)
	for _, text := range []string{"11111111", region, "ses", "aws4_request", "SendRawEmail"} {
		mac := hmac.New(sha256.New, signature)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	return base64.StdEncoding.EncodeToString(append([]byte{4}, signature...))
}

// loginData is the target Secret's data in format Default.
func loginData(accessKeyID, secretAccessKey, region string) map[string][]byte {
	const port = "587"
	host := "email-smtp." + region + ".amazonaws.com"
	password := smtpPassword(secretAccessKey, region)
	return map[string][]byte{
		"username": []byte(accessKeyID),
		"password": []byte(password),
		"host":     []byte(host),
		"port":     []byte(port),
		"region":   []byte(region),
		"url":      []byte("smtp://" + percentEncode(accessKeyID) + ":" + percentEncode(password) + "@" + host + ":" + port),
	}
}

// percentEncode leaves the unreserved characters of RFC 3986 only; QueryEscape does, but for the space.
func percentEncode(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
