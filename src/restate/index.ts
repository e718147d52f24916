export {
  createRestateDispatcher,
  type RestateDispatcher,
  type RestateDispatcherOptions,
  type RestateListenOptions,
} from "./restate-dispatcher.js";
