/**
 * Imports a module of Node, such as `node:net`. The name is not a literal in the call, because most
 * of this package is checked and bundled without Node.
 *
 * @typeParam T The functions of the module that the caller uses.
 */
export async function loadNode<T>(name: string): Promise<T> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ `${name}`);
}
