/** Remembers to which engine a deployment belongs, whoever asks and whatever dies. */
export type Claims = {
  /** The engine it belongs to: this one, unless it has been claimed for another before. */
  claim(launchId: string, deployment: number, engine: string): Promise<string>;
  /** By deployment. */
  of(launchId: string): Promise<ReadonlyMap<number, string>>;
  /** Of one deployment, or of all. */
  forget(launchId: string, deployment?: number): Promise<void>;
};
