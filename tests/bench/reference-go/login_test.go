package main

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
)

func TestPasswordsOfTheSharedVectors(t *testing.T) {
	text, err := os.ReadFile("../../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		V4 []struct{ Secret, Region, Password, Source string }
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.V4) == 0 {
		t.Fatal("tests/vectors.json holds no vectors under v4")
	}
	for _, v := range vectors.V4 {
		if got := smtpPassword(v.Secret, v.Region); got != v.Password {
			t.Errorf("%s in %s: got %s, want %s", v.Source, v.Region, got, v.Password)
		}
	}
}

// The expected values were made with Python's urllib.parse.quote from the password of the shared vectors.
func TestDataOfTheTarget(t *testing.T) {
	got := map[string]string{}
	for key, value := range loginData("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1") {
		got[key] = string(value)
	}
	want := map[string]string{
		"username": "AKIAIOSFODNN7EXAMPLE",
		"password": "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9",
		"host":     "email-smtp.us-east-1.amazonaws.com",
		"port":     "587",
		"region":   "us-east-1",
		"url": "smtp://AKIAIOSFODNN7EXAMPLE:BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9" +
			"@email-smtp.us-east-1.amazonaws.com:587",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
