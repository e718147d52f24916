import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * Run a program in a folder, one of its own node_modules before any other, and
 * give what it writes to standard output. A failure's message has all it wrote.
 */
export async function run(directory: string, program: string, ...args: string[]): Promise<string> {
  const path = [join(directory, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  try {
    const { stdout } = await execute(program, args, {
      cwd: directory,
      env: { ...process.env, PATH: path },
      maxBuffer: 64 * 1024 * 1024,
      timeout: 300_000,
    });
    return stdout;
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    const command = [program, ...args].join(" ");
    throw new Error(`${command} failed in ${directory}\n${stdout}${stderr}`, { cause });
  }
}
