# SPDX-License-Identifier: MIT
#Requires -Version 5.1
#Requires -Modules Hyper-V
#Requires -RunAsAdministrator
<#
.SYNOPSIS
    Creates a Generation 2 virtual machine from a disk of Barebus, watches it, asks it to shut down, and says whether all went well.

.DESCRIPTION
    To be run on the Hyper-V host (Windows Server 2016, Windows 10 or later), as an administrator, in Windows PowerShell 5.1 or
    PowerShell 7. docs/hyper-v.md says what each line of the verdict means. The machine and its copy of the disk are removed afterwards,
    unless -Keep is given or a step failed.

.PARAMETER Disk
    barebus.vhdx, as 'make image' makes it. It is copied: the original is not changed.

.PARAMETER Log
    File that gets what the guest writes to COM1.

.EXAMPLE
    .\Test-Barebus.ps1 -Disk .\barebus.vhdx
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Disk,
    [string] $Name = 'Barebus-test',
    [long] $Memory = 512MB,
    [int] $Seconds = 60,
    [string] $Log = '.\barebus-console.log',
    [switch] $Keep
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$results = [ordered]@{}
function Set-Result([string] $Step, [bool] $Good, [string] $Detail) {
    $results[$Step] = $Good
    $word = if ($Good) { 'good' } else { 'BAD ' }
    Write-Host ("{0}  {1,-24} {2}" -f $word, $Step, $Detail)
}

# Calls $Look every half second until it returns something, at most so long.
function Wait-For([scriptblock] $Look, [int] $Limit) {
    $end = (Get-Date).AddSeconds($Limit)
    do {
        $found = & $Look
        if ($found) { return $found }
        Start-Sleep -Milliseconds 500
    } while ((Get-Date) -lt $end)
    return $null
}

# One of the machine's integration services, as Hyper-V's WMI provider shows it.
function Get-Component([string] $Class) {
    return Get-CimInstance -Namespace root\virtualization\v2 -ClassName $Class -Filter "SystemName='$($vm.Id)'"
}

# What the guest tells by KVP: a document of XML for each pair, made of properties of which two are of interest.
function Get-GuestItems {
    $items = @{}
    foreach ($component in @(Get-Component 'Msvm_KvpExchangeComponent')) {
        foreach ($text in @($component.GuestIntrinsicExchangeItems) + @($component.GuestExchangeItems)) {
            if (-not $text) { continue }
            $document = [xml] $text
            $key = $document.SelectSingleNode("/INSTANCE/PROPERTY[@NAME='Name']/VALUE")
            $data = $document.SelectSingleNode("/INSTANCE/PROPERTY[@NAME='Data']/VALUE")
            if ($key) { $items[$key.InnerText] = $(if ($data) { $data.InnerText } else { '' }) }
        }
    }
    return $items
}

# Asks the guest by the shutdown service, and does nothing else: Stop-VM would switch a guest off that cannot be asked, which looks
# like one that obeyed. 0: the guest was told.
function Send-Shutdown {
    $component = Get-Component 'Msvm_ShutdownComponent'
    $answer = Invoke-CimMethod -InputObject $component -MethodName InitiateShutdown -Arguments @{ Force = $true; Reason = 'Test-Barebus' }
    return $answer.ReturnValue
}

if (Get-VM -Name $Name -ErrorAction SilentlyContinue) {
    throw "There is a virtual machine '$Name' already: remove it, or choose another -Name."
}
$source = Get-Item -LiteralPath $Disk
$copy = Join-Path (Get-VMHost).VirtualHardDiskPath "$Name.vhdx"
if (Test-Path -LiteralPath $copy) { throw "$copy is there already: remove it, or choose another -Name." }

# A sparse or compressed file is refused by Hyper-V (0xC03A001A); a plain copy is neither.
Copy-Item -LiteralPath $source.FullName -Destination $copy
& fsutil sparse setflag $copy 0 | Out-Null
& compact /u $copy | Out-Null

$pipe = "$Name-com1"
$logFile = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Log)
if (Test-Path -LiteralPath $logFile) { Remove-Item -LiteralPath $logFile -Force }
$reader = $null
try {
    $vm = New-VM -Name $Name -Generation 2 -MemoryStartupBytes $Memory -VHDPath $copy
    Set-VMFirmware -VM $vm -EnableSecureBoot Off -FirstBootDevice (Get-VMHardDiskDrive -VM $vm)
    Set-VMProcessor -VM $vm -Count 1
    Set-VMMemory -VM $vm -DynamicMemoryEnabled $true -MinimumBytes 128MB -StartupBytes $Memory -MaximumBytes ($Memory * 2)
    Set-VMComPort -VM $vm -Number 1 -Path "\\.\pipe\$pipe"
    Set-VM -VM $vm -CheckpointType Disabled -AutomaticStopAction TurnOff
    Get-VMIntegrationService -VM $vm | Enable-VMIntegrationService
    Set-Result 'created' $true "generation 2, $($Memory / 1MB) MiB, Secure Boot off"

    # Hyper-V drops what is written while nobody listens, and the guest writes its first lines within a second or two: the listener has to
    # be there first. It never waits for long at a time, so that it can be stopped, and lets others read its file meanwhile.
    $reader = Start-Job -ArgumentList $pipe, $logFile -ScriptBlock {
        param($pipe, $log)
        $file = New-Object System.IO.FileStream($log, [System.IO.FileMode]::Create, [System.IO.FileAccess]::Write, [System.IO.FileShare]::ReadWrite)
        $stream = New-Object System.IO.Pipes.NamedPipeClientStream('.', $pipe, [System.IO.Pipes.PipeDirection]::InOut,
            [System.IO.Pipes.PipeOptions]::Asynchronous)
        while (-not $stream.IsConnected) {
            try { $stream.Connect(100) } catch [System.TimeoutException] { Start-Sleep -Milliseconds 50 }
        }
        $buffer = New-Object byte[] 4096
        do {
            $read = $stream.ReadAsync($buffer, 0, $buffer.Length)
            while (-not $read.Wait(200)) { }
            $file.Write($buffer, 0, $read.Result)
            $file.Flush()
        } while ($read.Result -gt 0)
    }
    if (-not (Wait-For { Test-Path -LiteralPath $logFile } 30)) { throw 'the listener to COM1 does not start' }
    Start-VM -VM $vm
    $started = Get-Date
    $state = (Get-VM -Name $Name).State
    Set-Result 'started' ($state -eq 'Running') "$state"

    $heartbeat = Wait-For {
        $now = "$((Get-VM -Name $Name).Heartbeat)"
        if ($now -like 'Ok*') { $now }
    } $Seconds
    $took = [int]((Get-Date) - $started).TotalSeconds
    Set-Result 'heartbeat' ([bool] $heartbeat) $(if ($heartbeat) { "$heartbeat after $took s" } else { "none within $Seconds s" })

    $items = Wait-For { $found = Get-GuestItems; if ($found.Count -gt 0) { $found } } 30
    $shown = if ($items) { ($items.GetEnumerator() | Sort-Object Name | ForEach-Object { "$($_.Name)=$($_.Value)" }) -join ' ' } else { 'nothing within 30 s' }
    Set-Result 'key-value pairs' ([bool] $items) $shown

    $demand = Wait-For { $now = Get-VM -Name $Name; if ($now.MemoryDemand -gt 0) { $now.MemoryDemand } } 30
    Set-Result 'dynamic memory' ([bool] $demand) $(if ($demand) { "the guest demands $($demand / 1MB) MiB" } else { 'no report within 30 s' })

    $answer = Send-Shutdown
    $off = $answer -eq 0 -and (Wait-For { (Get-VM -Name $Name).State -eq 'Off' } 30)
    Set-Result 'shutdown' $off $(if ($off) { 'the guest was asked, and is off' } elseif ($answer -ne 0) { "it cannot be asked: $answer (is it off already? see APPEND in docs/hyper-v.md)" } else { 'still running after 30 s' })

    Wait-Job -Job $reader -Timeout 5 | Out-Null
    $console = Get-Content -LiteralPath $logFile -Raw
    Set-Result 'console' ($console -match 'Barebus, started by UEFI') "see $Log"
    Set-Result 'bus' ($console -match 'vmbus: connected, version|vmbus connected_us=') 'VMBus connected, by the console'
    Set-Result 'by ACPI' ($console -match 'power off by ACPI') 'the guest switched itself off, by the console'
    Set-Result 'no panic' (-not ($console -match 'panic:')) 'by the console'
    $crash = @(Get-WinEvent -ErrorAction SilentlyContinue -FilterHashtable @{
            LogName = 'Microsoft-Windows-Hyper-V-Worker-Admin'; Id = 18590; StartTime = $started } |
        Where-Object { $_.Message -like "*$Name*" })
    Set-Result 'no crash event' ($crash.Count -eq 0) $(if ($crash.Count -gt 0) { $crash[0].Message } else { 'no event 18590' })
} catch {
    Set-Result 'the script itself' $false "$($_.Exception.Message) $($_.ScriptStackTrace)"
} finally {
    if ($reader) { Stop-Job -Job $reader; Remove-Job -Job $reader -Force }
    $bad = @($results.GetEnumerator() | Where-Object { -not $_.Value })
    $machine = Get-VM -Name $Name -ErrorAction SilentlyContinue
    if ($machine -and ($Keep -or $bad.Count -gt 0 -or $machine.State -ne 'Off')) {
        Write-Host "The virtual machine '$Name' and $copy are left as they are."
    } else {
        if ($machine) { Remove-VM -VM $machine -Force }
        Remove-Item -LiteralPath $copy -Force
    }
}
Write-Host ''
if ($bad.Count -eq 0) {
    Write-Host "VERDICT: good, $($results.Count) steps."
    exit 0
}
Write-Host "VERDICT: BAD: $(($bad | ForEach-Object { $_.Key }) -join ', '). Please send $Log and these lines."
exit 1
