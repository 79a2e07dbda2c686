// From https://docs.pollarix.com/docs/guides/webhooks/webhooks-api-reference, but for white space.
const axios = require('axios');
class WebhookManager {
  constructor(apiToken, departmentId) {
    this.client = axios.create({
      baseURL: 'https://api.pollarix.com',
      headers: {
        'Authorization': `Bearer ${apiToken}`,
        'Content-Type': 'application/json'
      }
    });
    this.departmentId = departmentId;
  }
  async list() {
    const { data } = await this.client.get(
      `/department/${this.departmentId}/webhook/`
    );
    return data.webhooks;
  }
  async create(webhook) {
    const { data } = await this.client.post(
      `/department/${this.departmentId}/webhook/`,
      webhook
    );
    return data;
  }
  async update(webhookId, webhook) {
    const { data } = await this.client.put(
      `/department/${this.departmentId}/webhook/${webhookId}`,
      { id: webhookId, ...webhook }
    );
    return data;
  }
  async delete(webhookId) {
    await this.client.delete(
      `/department/${this.departmentId}/webhook/${webhookId}`
    );
  }
  async test(url) {
    await this.client.post(
      `/department/${this.departmentId}/webhook/test-send`,
      { url }
    );
  }
}
