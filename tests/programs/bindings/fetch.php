<?php
// fetch.php MODE URL: PHP's curl extension as programs use it.
// MODE: return (the body as a value), print, functions, multi.

function start(string $url)
{
    $curl = curl_init($url);
    curl_setopt($curl, CURLOPT_POSTFIELDS, '{"model": "gpt-4"}');
    curl_setopt($curl, CURLOPT_HTTPHEADER, ['Content-Type: application/json', 'X-From: php']);
    return $curl;
}

function show($curl): void
{
    echo "\ncode ", curl_getinfo($curl, CURLINFO_RESPONSE_CODE), ' ',
        curl_getinfo($curl, CURLINFO_CONTENT_TYPE), ' ', curl_errno($curl), ' ', curl_error($curl), "\n";
}

function run_multi(string $url): void
{
    $multi = curl_multi_init();
    $curls = [];
    for ($i = 0; $i < 6; $i++) {
        $curls[$i] = start("$url?$i");
        curl_setopt($curls[$i], CURLOPT_RETURNTRANSFER, true);
        curl_multi_add_handle($multi, $curls[$i]);
    }
    do {
        $status = curl_multi_exec($multi, $running);
        if ($running) {
            curl_multi_select($multi, 1.0);
        }
    } while ($running && $status == CURLM_OK);
    $results = 0;
    while ($message = curl_multi_info_read($multi)) {
        $results += $message['result'] == CURLE_OK;
    }
    echo "results $results\n";
    foreach ($curls as $curl) {
        echo curl_multi_getcontent($curl);
        show($curl);
        curl_multi_remove_handle($multi, $curl);
    }
    curl_multi_close($multi);
}

function run(string $mode, string $url): void
{
    if ($mode == 'multi') {
        run_multi($url);
        return;
    }
    $curl = start($url);
    if ($mode == 'return') {
        curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
        curl_setopt($curl, CURLOPT_HEADER, true);
    } elseif ($mode == 'functions') {
        curl_setopt($curl, CURLOPT_HEADERFUNCTION, function ($curl, $line) {
            echo 'header ', $line;
            return strlen($line);
        });
        curl_setopt($curl, CURLOPT_WRITEFUNCTION, function ($curl, $data) {
            echo $data;
            return strlen($data);
        });
    }
    $result = curl_exec($curl);
    echo $mode == 'return' ? $result : ($result ? 'true' : 'false');
    show($curl);
}

run($argv[1], $argv[2]);
