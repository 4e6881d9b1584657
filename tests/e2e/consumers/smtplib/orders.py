"""A worker that sends a mail every two seconds and lives on when one fails."""

import signal
import smtplib
import sys
import time
from email.message import EmailMessage

import mail

signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # process 1 of a container would not stop
while True:
    order = EmailMessage()
    order["From"], order["To"] = "shop@example.com", "customer@example.com"
    order["Subject"] = "Your order"
    order.set_content("It is on its way.")
    try:
        mail.send(order)
        print("sent", flush=True)
    except (OSError, smtplib.SMTPException) as failure:
        print("failed:", failure, flush=True)
    time.sleep(2)
