// A real OpenID provider for the sign-in tests: whoever gives a name in its form is that person.
// Usage: node provider.mjs PORT REDIRECT_URI...
import Provider from 'oidc-provider';

const [port, ...redirectUris] = process.argv.slice(2);

const person = (id) => ({
  accountId: id,
  claims: () => ({
    sub: `subject-of-${id}`,
    preferred_username: id,
    email: `${id}@city.example`,
    email_verified: id !== 'unverified',
  }),
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: 'shujin',
      client_secret: 'between-the-two-of-us',
      redirect_uris: redirectUris,
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  claims: {
    openid: ['sub'],
    profile: ['preferred_username'],
    email: ['email', 'email_verified'],
  },
  findAccount: (_context, id) => person(id),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ['for tests alone'] },
});

provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
