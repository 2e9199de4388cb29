// An identity provider for tests: npm oidc-provider with its own sign-in pages, which take any password.
// node provider.mjs FOLDER_WITH_NODE_MODULES prints its port, then reads our address for the way back. The part of a
// name before "@" is the group of the person.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null); // Node before 22.1
const folder = process.argv[2];
const found = createRequire(`${folder}/`).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(found));

const server = createServer();
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  process.stdout.write(`${port}\n`);
  const redirect = await new Promise((said) => { createInterface(process.stdin).once('line', said); });
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: 'icansee', token_endpoint_auth_method: 'none', redirect_uris: [redirect],
      grant_types: ['authorization_code'], response_types: ['code'],
    }],
    claims: { openid: ['sub'], profile: ['preferred_username', 'roles'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, roles: [id.split('@')[0]] }),
    }),
    pkce: { required: () => true },
  });
  server.on('request', provider.callback());
});
