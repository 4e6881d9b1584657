"""What the settings of docs/consumers/django.md build on."""

SECRET_KEY = "not used by mail"
INSTALLED_APPS = ["shop"]
DEFAULT_FROM_EMAIL = "shop@example.com"
