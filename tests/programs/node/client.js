// client.js LIBRARY MODE URL: a program as people write it with a client of Node's own.
//
// LIBRARY: fetch; http, with connections that stay
// URL: up to and with /v1
// MODE: ask     the models and a chat; each status and body
//       stream  a chat as it is made: for each event how late it is here, in seconds
//       again   a chat; after a 429 once more, when Retry-After says so
'use strict';
const [library, mode, url] = process.argv.slice(2);
const headers = {Authorization: 'Bearer programs-own', 'Content-Type': 'application/json'};
const question = {model: 'gpt-4', messages: [{role: 'user', content: 'h\u00e9llo'}]};
const sleep = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));

async function byFetch(method, path, body) {
    const response = await fetch(url + path, {method, headers, body});
    return {status: response.status, headers: Object.fromEntries(response.headers),
            body: response.body};
}

const http = require(url.startsWith('https:') ? 'https' : 'http');
const agent = new http.Agent({keepAlive: true});

function byHttp(method, path, body) {
    return new Promise((resolve, reject) => {
        const request = http.request(url + path, {method, headers, agent}, response =>
            resolve({status: response.statusCode, headers: response.headers, body: response}));
        request.on('error', reject);
        request.end(body);
    });
}

const send = {fetch: byFetch, http: byHttp}[library];
const chat = more => send('POST', '/chat/completions', JSON.stringify({...question, ...more}));

async function text(response) {
    const chunks = [];
    for await (const chunk of response.body)
        chunks.push(chunk);
    return Buffer.concat(chunks).toString();
}

async function ask() {
    for (const response of [await send('GET', '/models'), await chat()])
        console.log(response.status, await text(response));
}

async function stream() {
    const response = await chat({stream: true});
    let rest = '';
    console.log(response.status);
    for await (const chunk of response.body) {
        const lines = (rest + Buffer.from(chunk).toString()).split('\n');
        rest = lines.pop();
        for (const line of lines.filter(each => each.startsWith('data: {')))
            console.log('late', Date.now() / 1000 - JSON.parse(line.slice(6)).spillway_mock.sent);
    }
}

async function again() {
    let response = await chat();
    if (response.status === 429) {
        const seconds = response.headers['retry-after'];
        console.log(429, seconds, JSON.parse(await text(response)).error.type);
        await sleep(seconds);
        response = await chat();
    }
    console.log(response.status, JSON.parse(await text(response)).object);
}

({ask, stream, again})[mode]().finally(() => agent.destroy());
