// The part of the interface of the module axios that drive.js and manager.js use, over node's http.
const http = require('http');

exports.create = ({ baseURL, headers }) => {
  const send = (method, path, body) => new Promise((resolve, reject) => {
    const request = http.request(baseURL + path, { method, headers, agent: false }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const answer = { status: response.statusCode, data: text === '' ? text : JSON.parse(text) };
        if (answer.status >= 200 && answer.status < 300) return resolve(answer);
        const e = new Error(`status ${answer.status}`);
        e.response = answer;
        reject(e);
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  return {
    get: (path) => send('GET', path),
    post: (path, body) => send('POST', path, body),
    put: (path, body) => send('PUT', path, body),
    delete: (path) => send('DELETE', path),
  };
};
