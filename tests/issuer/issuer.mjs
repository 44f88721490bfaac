// An issuer of access tokens: oidc-provider, with one client for machines that gets tokens for whatever resource it asks for.
//
// Usage: issuer.mjs PORT ALGORITHM KID…   (PORT 0: a free one; each KID is a key that is made now, the first one signs)
// Prints its URL in a line when it serves.
//
// Beside what it is, it forges: `POST /forge` with {"header", "payload", "key"} gives a token of exactly that header and payload, signed by
// the key of that name, by one that nobody knows, or for HMAC with the text of the public key, as libraries have fallen for.
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [port, algorithm, ...names] = process.argv.slice(2);

function make(kid) {
  const { privateKey } = algorithm === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : algorithm === 'EdDSA' ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: algorithm } };
}

const keys = new Map(names.map((kid) => [kid, make(kid)]));
const stranger = make('stranger');

const server = createServer();
server.listen(Number(port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [...keys.values()].map(({ jwk }) => jwk) },
    clients: [{
      client_id: 'agent', client_secret: 'agent-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      scope: 'scout admin', id_token_signed_response_alg: algorithm,
    }],
    scopes: ['scout', 'admin'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'scout admin', audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
  const serve = provider.callback();
  server.on('request', (request, response) => {
    if (request.url !== '/forge') return serve(request, response);
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      const { header, payload, key } = JSON.parse(Buffer.concat(pieces));
      // A text stands for itself: what it says may be no JSON that anybody else would write.
      const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
      const signed = `${part(header)}.${part(payload)}`;
      response.end(`${signed}.${signature(key, signed).toString('base64url')}`);
    });
  });
  console.log(issuer);
});

function signature(key, signed) {
  if (key === 'none') return Buffer.alloc(0);
  if (key === 'public') {
    const pem = createPublicKey([...keys.values()][0].privateKey).export({ format: 'pem', type: 'spki' });
    return createHmac('sha256', pem).update(signed).digest();
  }
  const { privateKey } = keys.get(key) ?? stranger;
  return sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
}
