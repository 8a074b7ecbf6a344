// Type-aware rules at their strictest. A suppression names its rule and its reason; one that is not needed is an error.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['build/', 'dist/', '.cache/', '**/node_modules/', '**/testdata/', 'examples/*/node_modules/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['scripts/*.ts', 'examples/*/*.ts'], defaultProject: 'tsconfig.json' },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Exports are named.' },
        { selector: 'ExportAllDeclaration', message: 'Exports are listed by hand.' },
      ],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Numbers print as anyone expects.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `while (true)` with a bounded exit is clearer than the alternatives.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Hot paths say `bytes[at] as number` where the bound was checked; `!` is not allowed at all.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // tsconfig.json wants index signatures read with brackets.
      '@typescript-eslint/dot-notation': 'off',
      // Parsers step through bytes by index.
      '@typescript-eslint/prefer-for-of': 'off',
    },
  },
  {
    files: ['receiver/**/*.ts', 'native/**/*.ts', 'otel-thread-context/**/*.ts'],
    ignores: ['receiver/main.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'Only receiver/main.ts touches the process; hand in what is needed.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // node:test collects what test() and describe() return.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'it', 'suite', 'describe'] }] },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
    },
  },
);
