/**
 * Whether a foreign client is installed. If `FOREIGN_CLIENTS` is `required` (set by
 * `npm run test:foreign`), a missing client fails the tests that would otherwise be skipped.
 *
 * @param remedy The command that installs it.
 */
export function isInstalled(client: unknown, remedy: string): boolean {
  if (client !== undefined) return true;
  if (process.env.FOREIGN_CLIENTS === "required") throw new Error(`missing: ${remedy}`);
  console.warn(`skipped: ${remedy}`);
  return false;
}
