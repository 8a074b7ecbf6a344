// Where everything stands at one moment, for people: what `GET /debug/usm` answers and `usm-receiver inspect` prints. Field names are those
// of the JSON. Never payload, nothing of a request target or a header.

/** Where one direction of a connection stands, in stream positions. */
export interface FlowInspection {
  /** The next byte that has not been handed on. */
  readonly position: number;
  /** The kernel was told to copy nothing before it; 0: never told. */
  readonly stepped_to: number;
}

/** One side of a conversation. */
export interface SideInspection {
  /** What comes next: of a message, or of a side that was lost. */
  readonly phase: string;
  /** Bytes of a head that is not whole yet. */
  readonly buffered_bytes: number;
  /** Payload of the present message so far. */
  readonly body_bytes: number;
}

export interface ExchangeInspection {
  /** Stream position of the request's first byte. */
  readonly request_position: number;
  readonly age_ms: number;
  readonly pid: number;
  /** Undefined until the head of the final response was read. */
  readonly status_code: number | undefined;
}

export interface ConversationInspection {
  readonly protocol: string;
  readonly request: SideInspection;
  readonly response: SideInspection;
  /** What a response answers: `firm`, or what has to be proven first. */
  readonly pairing: string;
  /** The oldest first; at most {@link MAX_EXCHANGES}. */
  readonly open_exchanges: readonly ExchangeInspection[];
  readonly open: number;
  /** Transactions that are over and held until it is certain that none was mistaken for another. */
  readonly held: number;
}

/** Of the open exchanges of one connection, those that are shown. */
export const MAX_EXCHANGES = 8;

export interface ConnectionInspection {
  /** Socket cookie. */
  readonly connection: number;
  readonly transport: string;
  readonly local: string;
  readonly peer: string;
  readonly role: string;
  /** How the role is known. */
  readonly role_evidence: string;
  /** Process of the first observed I/O. */
  readonly pid: number;
  /** Of that process, if it is known. */
  readonly executable: string | undefined;
  readonly network_namespace: number;
  /** Where it was joined: `beginning`, `boundary`, `middle`. */
  readonly joined: string;
  /** The protocol that was chosen, or why there is none. */
  readonly protocol: string;
  readonly idle_ms: number;
  readonly received: FlowInspection;
  readonly sent: FlowInspection;
  /** Since when events wait for the other direction's, or for the role; undefined: none do. */
  readonly waiting_ms: number | undefined;
  readonly waiting_bytes: number;
  readonly lost_bytes: number;
  readonly last_loss: string | undefined;
  /** It is over, and lingers. */
  readonly closing: string | undefined;
  readonly conversation: ConversationInspection | undefined;
}

export interface ConnectionFilter {
  readonly connection: number | undefined;
  readonly pid: number | undefined;
  /** Local or remote. */
  readonly port: number | undefined;
  readonly limit: number;
}

export interface ConnectionsInspection {
  readonly tracked: number;
  /** Those that the filter lets through. */
  readonly matching: number;
  readonly shown: readonly ConnectionInspection[];
  readonly truncated: boolean;
  /** With a filter by connection: why it was given up, if it was, so that nothing is known of it. */
  readonly given_up: string | undefined;
}
