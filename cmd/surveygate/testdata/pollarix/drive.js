// Runs the class in manager.js against SERVER and prints what each call returned. axios is the module of that name, or, with
// STANDIN, a small one that has the part of its interface that the class uses.
const fs = require('fs');
const path = require('path');
const axios = require(process.env.STANDIN || 'axios');
const create = axios.create;
axios.create = (config) => create({ ...config, baseURL: process.env.SERVER }); // the class writes the platform's own address
const text = fs.readFileSync(path.join(__dirname, 'manager.js'), 'utf8');
const WebhookManager = new Function('require', text + '\nreturn WebhookManager;')((name) => (name === 'axios' ? axios : require(name)));

async function main() {
  const say = (what, value) => console.log(JSON.stringify({ [what]: value === undefined ? null : value }));
  const refused = async (what, call) => {
    try { await call; say(what, 'no error'); } catch (e) { say(what, { status: e.response.status, type: e.response.data.detail[0].type }); }
  };
  const manager = new WebhookManager(process.env.TOKEN, process.env.DEPARTMENT);
  say('empty', await manager.list());
  const made = await manager.create({ name: 'My Integration', url: process.env.RECEIVER, events: ['SURVEY_COMPLETED'], headers: { Authorization: 'Bearer secret123' }, isActive: true });
  say('made', made);
  const [webhook] = await manager.list();
  const { id, ...rest } = webhook;
  say('sent back', await manager.update(id, rest));
  say('changed', await manager.update(id, { ...rest, name: 'Updated Name', events: ['SURVEY_COMPLETED', 'COUPON_REDEEMED'] }));
  say('listed', await manager.list());
  say('tested', await manager.test(process.env.RECEIVER));
  await refused('wrong address', manager.create({ name: 'n', url: 'not a url', events: ['SURVEY_COMPLETED'] }));
  await refused('wrong event', manager.update(id, { ...rest, events: ['NONE'] }));
  const other = await manager.create({ name: 'Other', url: process.env.RECEIVER, events: ['SURVEY_COMPLETED'] });
  say('deleted', await manager.delete(other.webhooks[0].id));
  await refused('deleted again', manager.delete(other.webhooks[0].id));
  await refused('wrong token', new WebhookManager('wrong', process.env.DEPARTMENT).list());
  say('left', (await manager.list()).length);
}
main().catch((e) => { console.error(e.message, e.response && JSON.stringify(e.response.data)); process.exit(1); });
