export { classificationRoutes } from "./routes.ts";
export { createClassifications, type Classifications } from "./service.ts";
export { loadClassifier, type Classifiable, type Classifier, type Decision } from "./classifier.ts";
