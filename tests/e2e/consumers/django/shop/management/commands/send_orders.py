"""A worker that sends a mail every two seconds and lives on when one fails."""

import signal
import smtplib
import sys
import time

from django.core.mail import send_mail
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, *args: object, **options: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # process 1 of a container would not stop
        while True:
            try:
                send_mail("Your order", "It is on its way.", None, ["customer@example.com"])
                self.stdout.write("sent")
            except (OSError, smtplib.SMTPException) as failure:
                self.stdout.write(f"failed: {failure}")
            time.sleep(2)
