// The build collects styles in a file of their own.
declare module "*.css";
