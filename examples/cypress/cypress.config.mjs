import { defineConfig } from "cypress";
import { rent, waitForCode } from "../desk.mjs";

// Tasks run in Node: the key never reaches the browser, whose log shows every request.
export default defineConfig({
  fileServerFolder: "..", // where sign-up.html is
  taskTimeout: 6 * 60_000, // a code takes its time
  e2e: {
    supportFile: false,
    setupNodeEvents(on) {
      on("task", {
        rent: ({ service, wishes }) => rent(service, wishes),
        waitForCode: id => waitForCode(id),
      });
    },
  },
});
