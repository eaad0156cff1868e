<?php require __DIR__ . '/vendor/autoload.php'; ?>
<!doctype html>
<link rel="stylesheet" href="style.css">
<main><h1><?= (new Example\Page)->title() ?></h1></main>
