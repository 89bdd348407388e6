// openai.js MODE URL: a program as people write it with the package openai.
//
// URL: up to and with /v1; for azure the resource
// MODE: ask     the models, a chat and embeddings
//       stream  a chat as it is made: for each event how late it is here, in seconds
//       again   a chat: what the package does about a 429, attempt by attempt
//       azure   a chat and embeddings, by the class for Azure
'use strict';
const {AzureOpenAI, OpenAI} = require('openai');
const [mode, url] = process.argv.slice(2);
const question = {model: 'gpt-4', messages: [{role: 'user', content: 'h\u00e9llo'}]};
const words = {model: 'text-embedding-3-small', input: ['one', 'two'], encoding_format: 'float'};

async function noted(...what) {
    const response = await fetch(...what);
    console.log(response.status, response.headers.get('retry-after'));
    return response;
}

const client = mode === 'azure'
    ? new AzureOpenAI({endpoint: url, apiKey: 'programs-own', apiVersion: '2024-10-21', fetch: noted})
    : new OpenAI({baseURL: url, apiKey: 'programs-own', fetch: noted});

async function ask() {
    if (mode === 'ask')
        console.log(JSON.stringify((await client.models.list()).data));
    console.log(JSON.stringify((await client.chat.completions.create(question)).choices));
    console.log(JSON.stringify((await client.embeddings.create(words)).data));
}

async function stream() {
    for await (const event of await client.chat.completions.create({...question, stream: true}))
        console.log('late', Date.now() / 1000 - event.spillway_mock.sent);
}

async function again() {
    console.log((await client.chat.completions.create(question)).object);
}

({ask, stream, again, azure: ask})[mode]();
