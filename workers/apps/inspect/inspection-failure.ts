/** What keeps a repository from becoming an app, said so that its owner knows what to change. Trying again does not help. */

export type InspectionFailureCode =
  | 'no-dockerfile'
  | 'dockerfile-missing'
  | 'dockerfile-invalid'
  | 'not-a-checkout';

export class InspectionFailure extends Error {
  readonly code: InspectionFailureCode;

  constructor(code: InspectionFailureCode, message: string) {
    super(message);
    this.name = 'InspectionFailure';
    this.code = code;
  }
}
