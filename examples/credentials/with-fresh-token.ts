// An interceptor that refreshes credentials during a long wait.
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Adds a token to each call, and calls again with a fresh one if the server rejects it. */
export function withFreshToken(fetchToken: () => Promise<string>): Interceptor {
  let token: Promise<string> | undefined;
  const currentToken = () => {
    token ??= fetchToken().catch((cause: unknown) => {
      token = undefined;
      const message = "the credentials cannot be refreshed";
      throw new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
    });
    return token;
  };
  return (next) => async (request) => {
    const used = currentToken();
    request.header.set("Authorization", `Bearer ${await used}`);
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unauthenticated || request.stream) throw error;
      if (token === used) token = undefined;
      request.header.set("Authorization", `Bearer ${await currentToken()}`);
      return next(request);
    }
  };
}
