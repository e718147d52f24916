// Nest, on Express. Its controllers answer the paths that the listener does not serve.
import "reflect-metadata";
import { Controller, Get, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { createNodeListener } from "connect-longrunning/node";
import { web } from "./service.ts";

@Controller()
class AppController {
  @Get("hello")
  hello() {
    return "hello";
  }
}

@Module({ controllers: [AppController] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ["error"] });
app.use(createNodeListener(web.handler));
await app.listen(Number(process.env.PORT ?? 8080));
