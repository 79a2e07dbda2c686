# Runs the class in manager.py against SERVER and prints what each call returned. requests is the module of that name, or the one in
# standin, which has the part of its interface that the class uses.
import json
import os
import sys

import requests
from manager import WebhookManager


def say(what, value):
    print(json.dumps({what: value}))


def refused(what, call):
    try:
        call()
        say(what, 'no error')
    except requests.HTTPError as e:
        say(what, {'status': e.response.status_code, 'type': e.response.json()['detail'][0]['type']})


def manager_of(token):
    manager = WebhookManager(token, os.environ['DEPARTMENT'])
    manager.base_url = os.environ['SERVER']  # the class writes the platform's own address
    return manager


receiver = os.environ['RECEIVER']
manager = manager_of(os.environ['TOKEN'])
say('empty', manager.list())
say('made', manager.create({'name': 'My Integration', 'url': receiver, 'events': ['SURVEY_COMPLETED'], 'headers': {'Authorization': 'Bearer secret123'}, 'isActive': True}))
webhook = manager.list()[0]
id = webhook.pop('id')
say('sent back', manager.update(id, webhook))
say('changed', manager.update(id, {**webhook, 'name': 'Updated Name', 'events': ['SURVEY_COMPLETED', 'COUPON_REDEEMED']}))
say('listed', manager.list())
say('tested', manager.test(receiver))
refused('wrong address', lambda: manager.create({'name': 'n', 'url': 'not a url', 'events': ['SURVEY_COMPLETED']}))
refused('wrong event', lambda: manager.update(id, {**webhook, 'events': ['NONE']}))
other = manager.create({'name': 'Other', 'url': receiver, 'events': ['SURVEY_COMPLETED']})['webhooks'][0]['id']
say('deleted', manager.delete(other))
refused('deleted again', lambda: manager.delete(other))
refused('wrong token', lambda: manager_of('wrong').list())
say('left', len(manager.list()))
print('requests', requests.__version__, file=sys.stderr)
