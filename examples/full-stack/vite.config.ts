import { defineConfig } from "vite";

/** The address of the service. */
const service = process.env.SERVICE_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  server: {
    proxy: {
      "^/(counting\\.v1|google\\.longrunning)\\.": { target: service },
    },
  },
});
