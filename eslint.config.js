// Rules for the app in sidecar/web and for the scripts in the hosts' page; run with `npx eslint .`.
import js from "@eslint/js";
import globals from "globals";

const rules = {
  eqeqeq: ["error", "always", { null: "ignore" }],
  "no-console": "error",
  "no-implicit-coercion": "error",
  "no-restricted-properties": ["error", { object: "document", property: "write" }],
  "no-shadow": "error",
  "no-throw-literal": "error",
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  { ignores: [".venv/**", "tests/**"] },
  js.configs.recommended,
  {
    files: ["sidecar/web/**/*.js", "eslint.config.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
    rules,
  },
  {
    files: ["javascript/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "script", globals: globals.browser },
    rules: { ...rules, "no-shadow": "off" },
  },
];
