import { expect, test } from "@playwright/test";
import { rent, waitForCode } from "../desk.mjs";

const SHOP = new URL("../sign-up.html", import.meta.url).href;

test("sign up with a phone number", async ({ page }) => {
  const rental = await rent("02.97", { max_price: 5000 });
  await page.goto(SHOP);
  await page.getByLabel("Phone number").fill(rental.phone.digits);
  await page.getByRole("button", { name: "Send the code" }).click();
  await page.getByLabel("Code").fill(await waitForCode(rental.id));
  await page.getByRole("button", { name: "Sign up" }).click();
  await expect(page.getByRole("status")).toHaveText(`Welcome, ${rental.phone.digits}`);
});
