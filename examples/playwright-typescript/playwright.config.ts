import { defineConfig } from "@playwright/test";

// A code takes its time. CHROMIUM names a Chromium that is installed, instead of Playwright's own.
export default defineConfig({
  timeout: 6 * 60_000,
  use: { launchOptions: { executablePath: process.env.CHROMIUM || undefined } },
});
