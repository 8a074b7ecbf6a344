// What bodies over HTTP/2 are full of: whole frames and text that look like requests and answers.
const frames = Buffer.from('000003010500000001828684' + '00000101050000000188' + '000000000100000001', 'hex');
const text = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n');

const decoy = Buffer.concat([frames, text]);

/** Whoever guesses instead of following the framing is found out. */
export function filler(size) {
  return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, decoy);
}
