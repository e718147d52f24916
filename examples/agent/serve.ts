import { startAgentServer } from "./server.js";

const { url } = await startAgentServer({ port: 8080 });
console.log(`Add the tools to Claude Code: claude mcp add --transport http archive ${url}`);
