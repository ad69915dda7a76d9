import { app } from '@azure/functions';

app.http('hello', {
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: () => ({ status: 200, body: 'Hello, world.' }),
});
