// A worker that sends a mail every two seconds and lives on when one fails.
//   orders.js MODULE, one of the page's that has the function `send`
import { setTimeout as sleep } from "node:timers/promises";

const { send } = await import(process.argv[2]);

process.on("SIGTERM", () => process.exit()); // process 1 of a container would not stop
for (;;) {
  try {
    await send({
      from: "shop@example.com",
      to: "customer@example.com",
      subject: "Your order",
      text: "It is on its way.",
    });
    console.log("sent");
  } catch (failure) {
    console.log("failed:", failure.message);
  }
  await sleep(2000);
}
