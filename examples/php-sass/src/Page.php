<?php

namespace Example;

class Page
{
    public function title(): string
    {
        return 'Hello from a multi-stage build';
    }
}
