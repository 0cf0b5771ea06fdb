/** What a look at single files is bad at: cycles, gaps, and test packages in production code. The rest is in test/tidy.test.ts. */
const rooms = '^(domain|commands|projections|read-api|workers|eventstore|platform|cli|web)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-gaps', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-test-packages',
      comment: 'A package of production code belongs to the dependencies.',
      severity: 'error',
      from: { path: rooms },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'nothing-imports-tests', severity: 'error', from: { path: rooms }, to: { path: '^test/' } },
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: '^domain/' },
      to: { pathNot: '^domain/' },
    },
    {
      name: 'decisions-come-from-the-stream',
      severity: 'error',
      from: { path: '^commands/' },
      to: { path: '^(projections|read-api|workers|web|cli)/' },
    },
    {
      name: 'projections-only-listen',
      severity: 'error',
      from: { path: '^projections/' },
      to: { path: '^(commands|workers|read-api|platform|web|cli)/' },
    },
    {
      name: 'reads-come-from-tables',
      severity: 'error',
      from: { path: '^read-api/', pathNot: '^read-api/(events/|index[.]ts$)' },
      to: { path: '^(eventstore|commands|workers)/' },
    },
    {
      name: 'workers-act-by-commands',
      severity: 'error',
      from: { path: '^workers/' },
      to: { path: '^(projections|read-api|web|cli)/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^web/.*[.]d[.]ts$' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
