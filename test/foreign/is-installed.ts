/**
 * Whether a foreign client is there to test with. Where `FOREIGN_CLIENTS` is `required`, as
 * `npm run test:foreign` has it, a missing one fails the tests that would else be skipped.
 *
 * @param remedy The command that installs it.
 */
export function isInstalled(client: unknown, remedy: string): boolean {
  if (client !== undefined) return true;
  if (process.env.FOREIGN_CLIENTS === "required") throw new Error(`missing: ${remedy}`);
  console.warn(`skipped: ${remedy}`);
  return false;
}
