# From https://docs.pollarix.com/docs/guides/webhooks/webhooks-api-reference, but for white space.
import requests
from typing import List, Dict, Optional
class WebhookManager:
    def __init__(self, api_token: str, department_id: str):
        self.base_url = 'https://api.pollarix.com'
        self.headers = {
            'Authorization': f'Bearer {api_token}',
            'Content-Type': 'application/json'
        }
        self.department_id = department_id
    def list(self) -> List[Dict]:
        response = requests.get(
            f'{self.base_url}/department/{self.department_id}/webhook/',
            headers=self.headers
        )
        response.raise_for_status()
        return response.json()['webhooks']
    def create(self, webhook: Dict) -> Dict:
        response = requests.post(
            f'{self.base_url}/department/{self.department_id}/webhook/',
            json=webhook,
            headers=self.headers
        )
        response.raise_for_status()
        return response.json()
    def update(self, webhook_id: str, webhook: Dict) -> Dict:
        response = requests.put(
            f'{self.base_url}/department/{self.department_id}/webhook/{webhook_id}',
            json={'id': webhook_id, **webhook},
            headers=self.headers
        )
        response.raise_for_status()
        return response.json()
    def delete(self, webhook_id: str) -> None:
        response = requests.delete(
            f'{self.base_url}/department/{self.department_id}/webhook/{webhook_id}',
            headers=self.headers
        )
        response.raise_for_status()
    def test(self, url: str) -> None:
        response = requests.post(
            f'{self.base_url}/department/{self.department_id}/webhook/test-send',
            json={'url': url},
            headers=self.headers
        )
        response.raise_for_status()
