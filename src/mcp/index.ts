export {
  createMcpHandler,
  type McpHandlerOptions,
  type ProtectedResource,
} from "./mcp-handler.js";
export { createMcpService, type McpOptions, type McpService } from "./mcp-service.js";
export { type StdioOptions, serveStdio } from "./stdio.js";
export type { McpOperations, TaskTimes } from "./task.js";
export type { ToolOptions, ToolSelection } from "./tools.js";
