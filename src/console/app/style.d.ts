// The build writes all styles into one file.
declare module "*.css";
