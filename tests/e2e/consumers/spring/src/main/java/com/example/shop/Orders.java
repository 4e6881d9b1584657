package com.example.shop;

import org.springframework.mail.MailException;
import org.springframework.mail.SimpleMailMessage;
import org.springframework.mail.javamail.JavaMailSender;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;

/** Sends a mail every two seconds and lives on when one fails. */
@Component
class Orders {
  private final JavaMailSender sender;

  Orders(JavaMailSender sender) {
    this.sender = sender;
  }

  @Scheduled(fixedDelay = 2000)
  void send() {
    SimpleMailMessage order = new SimpleMailMessage();
    order.setFrom("shop@example.com");
    order.setTo("customer@example.com");
    order.setSubject("Your order");
    order.setText("It is on its way.");
    try {
      sender.send(order);
      System.out.println("sent");
    } catch (MailException failure) {
      System.out.println("failed: " + failure.getMessage());
    }
  }
}
