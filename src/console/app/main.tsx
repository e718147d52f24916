import "./style.css";
import { ConnectError } from "@connectrpc/connect";
import { render } from "preact";
import { App } from "./app.js";
import { errorText, Notice, remedyOf } from "./problem.js";
import { openSession, takeToken } from "./session.js";

const root = document.querySelector("#root");
if (root === null) throw new Error("the page has no root");
root.replaceChildren();
const token = takeToken();

const open = async () => {
  try {
    const session = await openSession(token);
    document.title = session.config.title;
    render(<App session={session} />, root);
  } catch (cause) {
    const error = ConnectError.from(cause);
    render(
      <Notice title="The console cannot be opened" text={errorText(error)} isError>
        <p>{remedyOf(error)}</p>
        <button type="button" onClick={open}>
          Try again
        </button>
      </Notice>,
      root,
    );
  }
};
void open();
