// Who may register now: so many connections in all and of each user, and of each user so many in a time. What one user does keeps nobody
// else out.
export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsOfUser: number;
  /** So many at once … */
  readonly burst: number;
  /** … and from then on so many. */
  readonly perSecond: number;
}

export type Admitted = 'admitted' | 'too_many' | 'too_many_of_user' | 'too_often';

interface User {
  connections: number;
  /** What is left of the burst, at the time. */
  left: number;
  timeMs: number;
}

/** Users that are remembered; those who have gone are forgotten first. */
const MAX_USERS = 1024;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #users = new Map<number, User>();
  #connections = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Each that is admitted must be told by {@link leave} when it has gone. */
  enter(uid: number, nowMs: number): Admitted {
    const { connections, connectionsOfUser, burst, perSecond } = this.#limits;
    const user = this.#userOf(uid, nowMs);
    user.left = Math.min(burst, user.left + ((nowMs - user.timeMs) * perSecond) / 1000);
    user.timeMs = nowMs;
    if (user.connections >= connectionsOfUser) return 'too_many_of_user';
    if (user.left < 1) return 'too_often';
    if (this.#connections >= connections) return 'too_many';
    user.left--;
    user.connections++;
    this.#connections++;
    return 'admitted';
  }

  leave(uid: number): void {
    const user = this.#users.get(uid);
    if (user === undefined || user.connections === 0) return;
    user.connections--;
    this.#connections--;
  }

  /** Who has the most connections, if those are more than this user would have with one more. */
  greedierThan(uid: number): number | undefined {
    let greediest: number | undefined;
    let most = (this.#users.get(uid)?.connections ?? 0) + 1;
    for (const [other, { connections }] of this.#users) {
      if (connections <= most) continue;
      greediest = other;
      most = connections;
    }
    return greediest;
  }

  #userOf(uid: number, nowMs: number): User {
    const known = this.#users.get(uid);
    if (known !== undefined) return known;
    const user = { connections: 0, left: this.#limits.burst, timeMs: nowMs };
    this.#users.set(uid, user);
    if (this.#users.size > MAX_USERS) this.#forgetOne(uid);
    return user;
  }

  /** The one who has been known for longest, of those without a connection: there are more users than connections. */
  #forgetOne(except: number): void {
    for (const [uid, { connections }] of this.#users) {
      if (connections > 0 || uid === except) continue;
      this.#users.delete(uid);
      return;
    }
  }
}
